use strict;
use warnings;

my $attack = sub {
    my ($given) = @_;
    open STDERR, '>>', "$given->{drop}/copy" or die "open: $!\n";
    STDERR->autoflush(1);
    return 'redirected';
};
