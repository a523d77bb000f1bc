use strict;
use warnings;

my $attack = sub {
    my ($given) = @_;
    kill KILL => $given->{sibling} or die "kill: $!\n";
    return $given->{sibling};
};
