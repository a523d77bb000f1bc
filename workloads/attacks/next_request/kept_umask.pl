use strict;
use warnings;

my $attack = sub {
    my ($given) = @_;
    return umask 0135;
};
