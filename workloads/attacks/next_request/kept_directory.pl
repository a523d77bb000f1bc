use strict;
use warnings;

my $attack = sub {
    my ($given) = @_;
    require Cwd;
    chdir $given->{drop} or die "chdir: $!\n";
    return Cwd::getcwd();
};
