use strict;
use warnings;

my $attack = sub {
    my ($given) = @_;
    return $given->{search}->($given->{victim}, qr/secret of t0002: [0-9a-f]+/);
};
