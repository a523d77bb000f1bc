use strict;
use warnings;

my $attack = sub {
    my ($given) = @_;
    require B;
    no strict 'refs';
    my $root = 'ModPerl::ROOT::ModPerl::Registry::';
    my @codes = map { \&{"$root${_}handler"} } grep { /::$/ } keys %$root;
    return [map { B::svref_2object($_)->FILE } @codes];
};
