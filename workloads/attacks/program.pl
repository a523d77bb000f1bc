# The second half of each attack's script in Perl: calls $attack, and tells how it went, in the same
# words as program.py. No named sub is declared: under Registry it would keep the variables of the
# first request.
{
    require JSON::PP;
    my $given = JSON::PP::decode_json(pack 'H*', $ENV{QUERY_STRING});
    $given->{nothing} = sub { die {nothing => $_[0]} };

    # The numbers of the process's TCP sockets: those that listen, or the connected.
    $given->{sockets} = sub {
        my ($listening) = @_;
        require Socket;
        my @found;
        for my $number (3 .. 63) {
            open my $copy, '+<&', $number or next;
            my $accepts = getsockopt $copy, Socket::SOL_SOCKET(), Socket::SO_ACCEPTCONN();
            next if !defined $accepts;
            next if Socket::sockaddr_family(getsockname $copy) != Socket::AF_INET();
            push @found, $number if !unpack('i', $accepts) == !$listening;
        }
        my $kind = $listening ? 'listening' : 'connected';
        return @found ? @found : die "none of its descriptors is a $kind socket\n";
    };

    # What a pattern finds in a process's memory, by /proc/PID/mem.
    $given->{search} = sub {
        my ($process, $pattern) = @_;
        no warnings 'portable';
        open my $maps, '<', "/proc/$process/maps" or die "maps: $!\n";
        open my $memory, '<:raw', "/proc/$process/mem" or die "mem: $!\n";
        my %found;
        for my $line (<$maps>) {
            my ($start, $end, $inode) = $line =~ /^(\w+)-(\w+) r\S+ \S+ \S+ (\d+)/ or next;
            ($start, $end) = (hex $start, hex $end);
            # Only what no file is behind.
            next if $inode || $end - $start > 1 << 25 || !sysseek $memory, $start, 0;
            sysread $memory, my $bytes, $end - $start or next;
            $found{$1} = 1 while $bytes =~ /($pattern)/g;
        }
        return [keys %found];
    };

    my ($result, $told) = ('', 'done');
    if (open my $sign, '>', "$given->{begun}-$given->{hand}") {
        close $sign;
    }
    eval { $result = $attack->($given); 1 } or do {
        my $error = $@;
        if (ref $error eq 'HASH') {
            $told = "nothing $error->{nothing}";
        } else {
            # What perl says of a mistake ends with its place; a refusal is died of with a line feed.
            my $kind = $error =~ / at \S+ line \d+\.?$/ ? 'broke' : 'refused';
            $told = "$kind die: " . substr $error, 0, 500;
            $told =~ tr/\n/ /;
        }
    };
    $result = JSON::PP->new->allow_nonref->encode($result) if ref $result;
    $result =~ s/([^\x00-\x7f])/sprintf '\\x%02x', ord $1/eg;
    print "Content-Type: text/plain\n\nisobench-attack $told\n$result\n";
}
