use strict;
use warnings;

my $attack = sub {
    my ($given) = @_;
    opendir my $directory, $given->{neighbour} or die "opendir: $!\n";
    return [readdir $directory];
};
