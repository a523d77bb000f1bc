use strict;
use warnings;

my $attack = sub {
    my ($given) = @_;
    $ENV{PLANTED} = $given->{token};
    return 'planted';
};
