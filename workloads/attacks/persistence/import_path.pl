use strict;
use warnings;

my $attack = sub {
    my ($given) = @_;
    my $path = "$given->{drop}/settings_of_the_site.pm";
    open my $file, '>', $path or die "open: $!\n";
    print {$file} "'$given->{token}';\n";
    chmod 0644, $path;
    unshift @INC, $given->{drop};
    return 'planted';
};
