use strict;
use warnings;

my $attack = sub {
    my ($given) = @_;
    open my $file, '>>', "$given->{neighbour}/data/app.db" or die "open: $!\n";
    print {$file} $given->{token};
    return 'written';
};
