use strict;
use warnings;

my $attack = sub {
    my ($given) = @_;
    open my $file, '>', "$given->{neighbour}/data/settings_of_the_site.pm" or die "open: $!\n";
    print {$file} "'$given->{token}';\n";
    return 'planted';
};
