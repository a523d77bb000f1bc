use strict;
use warnings;

my $attack = sub {
    my ($given) = @_;
    open my $file, '<', "$given->{neighbour}/config.secret" or die "open: $!\n";
    return join '', <$file>;
};
