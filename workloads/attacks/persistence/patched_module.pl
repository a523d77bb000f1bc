use strict;
use warnings;

my $attack = sub {
    my ($given) = @_;
    require POSIX;
    my $token = $given->{token};
    no warnings qw(once redefine);
    *POSIX::localeconv = sub { {decimal_point => $token} };
    return 'patched';
};
