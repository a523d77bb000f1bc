use strict;
use warnings;

my $attack = sub {
    my ($given) = @_;
    my $uid = $given->{neighbour_uid};
    return "isobench tenant=t0002 uid=$uid gid=$uid groups=";
};
