use strict;
use warnings;

my $attack = sub {
    my ($given) = @_;
    open my $file, '>>', "$given->{neighbour}/witness.pl" or die "open: $!\n";
    print {$file} "\nprint q($given->{token});\n";
    return 'written';
};
