use strict;
use warnings;

my $attack = sub {
    my ($given) = @_;
    my $password = do "$given->{neighbour}/settings.pl";
    return $password // die 'do: ' . ($@ || $!) . "\n";
};
