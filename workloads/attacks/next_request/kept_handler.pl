use strict;
use warnings;

my $attack = sub {
    my ($given) = @_;
    my $word = $given->{token};
    $SIG{WINCH} = sub { print $word };
    return 'installed';
};
