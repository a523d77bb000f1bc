use strict;
use warnings;

my $attack = sub {
    my ($given) = @_;
    my ($found, $refusal) = ('', '');
    for my $process ('self', getppid, $given->{master}) {
        if (open my $file, '<', "/proc/$process/environ") {
            $found .= join '', <$file>;
        } else {
            $refusal = "open: $!\n";
        }
    }
    die $refusal if $found eq '' && $refusal;
    return $found;
};
