use strict;
use warnings;

my $attack = sub {
    my ($given) = @_;
    # perlsub(1), "Overriding Built-in Functions": for all code that is compiled from now on.
    my $token = $given->{token};
    no warnings 'once';
    *CORE::GLOBAL::localtime = sub { $token };
    return 'patched';
};
