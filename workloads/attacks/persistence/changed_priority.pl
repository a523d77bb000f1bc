use strict;
use warnings;

my $attack = sub {
    my ($given) = @_;
    require POSIX;
    POSIX::nice(5) or die "nice: $!\n";
    return 'changed';
};
