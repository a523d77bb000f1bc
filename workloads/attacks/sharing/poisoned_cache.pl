use strict;
use warnings;

my $attack = sub {
    my ($given) = @_;
    my ($package) = grep { /t0002_witness_2epl::$/ } keys %ModPerl::ROOT::ModPerl::Registry::;
    die "no code of the neighbour's is in the script's process\n" if !$package;
    $package = "ModPerl::ROOT::ModPerl::Registry::$package";
    my $token = $given->{token};
    no strict 'refs';
    no warnings 'redefine';
    *{"${package}handler"} = sub { print "Content-Type: text/plain\n\n$token\n" };
    return $package;
};
