use strict;
use warnings;

my $attack = sub {
    my ($given) = @_;
    require POSIX;
    no warnings 'once';
    $POSIX::left = $given->{token};
    return 'left';
};
