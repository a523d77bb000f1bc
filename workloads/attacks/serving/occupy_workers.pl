use strict;
use warnings;

my $attack = sub {
    my ($given) = @_;
    open my $file, '>', "$given->{drop}/began-$given->{hand}" or die "open: $!\n";
    close $file;
    my $deadline = time + 5 * $given->{limit};
    sleep 1 while time < $deadline;
    return 'over';
};
