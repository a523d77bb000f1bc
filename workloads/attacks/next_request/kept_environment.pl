use strict;
use warnings;

my $attack = sub {
    my ($given) = @_;
    $ENV{LEFT} = $given->{token};
    return 'left';
};
