use strict;
use warnings;

my $attack = sub {
    my ($given) = @_;
    require POSIX;
    my $child = fork // die "fork: $!\n";
    return $child if $child;
    POSIX::close($_) for 0 .. 63;
    sleep 5;
    POSIX::_exit(0);
};
