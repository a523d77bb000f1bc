use strict;
use warnings;

my $attack = sub {
    my ($given) = @_;
    require POSIX;
    my $process = fork // die "fork: $!\n";
    return $process if $process;
    POSIX::setsid();
    POSIX::close($_) for 0 .. 255;
    select undef, undef, undef, 0.5;
    POSIX::creat("$given->{drop}/still_here", 0644);
    # Without the server's own handlers of an exit.
    POSIX::_exit(0);
};
