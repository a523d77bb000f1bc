use strict;
use warnings;

my $attack = sub {
    my ($given) = @_;
    kill KILL => $$;
    return 'killed';
};
