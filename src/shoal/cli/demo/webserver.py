"""The web server of the demo: one Perl program that knows port 4000 and no other.

Perl, because Debian's smallest image has it (perl-base), so that the layer on top of the image is this file alone.
"""

from __future__ import annotations

PORT = 4000
PATH = "/srv/web.pl"
COMMAND = ["/usr/bin/perl", PATH]

PROGRAM = r"""use strict;
use warnings;
use IO::Socket::INET;

# The port is not configurable: that is the point.
my $port = 4000;
my $server = IO::Socket::INET->new(
    LocalAddr => '0.0.0.0', LocalPort => $port, Listen => 16, ReuseAddr => 1,
) or die "port $port is taken: $!\n";

# As PID 1 a program gets no default action for signals: it has to ask for it.
$SIG{TERM} = $SIG{INT} = sub { exit 0 };
$SIG{PIPE} = 'IGNORE';

open my $name_file, '<', '/etc/hostname' or die "/etc/hostname: $!\n";
chomp(my $name = <$name_file>);
$| = 1;
print "$name: serving on port $port as process $$\n";

while (my $client = $server->accept) {
    my $request = <$client> // '';
    while (defined(my $header = <$client>)) {
        last if $header =~ /^\r?\n$/;
    }
    my $body = "$name answers from port $port as process $$\n";
    print $client "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: ", length $body,
        "\r\nConnection: close\r\n\r\n", $body;
    close $client;
}
"""
