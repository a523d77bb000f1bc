use strict;
use warnings;

my $attack = sub {
    my ($given) = @_;
    my $deadline = time + 3 * $given->{limit} + 1;
    while (time < $deadline) {
        my $sum = 0;
        $sum += $_ for 1 .. 1000;
    }
    open my $file, '>', "$given->{drop}/still_here" or die "open: $!\n";
    return 'over';
};
