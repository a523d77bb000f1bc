use strict;
use warnings;

my $attack = sub {
    my ($given) = @_;
    return $given->{search}->($given->{sibling}, qr/[0-9a-f]{24}/);
};
