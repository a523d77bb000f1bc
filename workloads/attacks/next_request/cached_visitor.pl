use strict;
use warnings;

my $attack = sub {
    my ($given) = @_;
    return 'only visits';
};
