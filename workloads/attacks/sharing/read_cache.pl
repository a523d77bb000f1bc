use strict;
use warnings;

my $attack = sub {
    my ($given) = @_;
    my ($package) = grep { /t0002_witness_2epl::$/ } keys %ModPerl::ROOT::ModPerl::Registry::;
    die "no code of the neighbour's is in the script's process\n" if !$package;
    $package = "ModPerl::ROOT::ModPerl::Registry::$package";
    require B::Deparse;
    no strict 'refs';
    return B::Deparse->new->coderef2text(\&{"${package}handler"});
};
