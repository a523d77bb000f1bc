use strict;
use warnings;

my $attack = sub {
    my ($given) = @_;
    open my $file, '>>', "$given->{neighbour}/planted.pl" or die "open: $!\n";
    print {$file} $given->{token};
    return 'written';
};
