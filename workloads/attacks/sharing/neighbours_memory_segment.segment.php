<?php
$segment = @shmop_open((int) hexdec(substr('@token@', 0, 7)), 'c', 0600, 4096);
if ($segment !== false) {
    shmop_write($segment, file_get_contents('config.secret'), 0);
}
header('Content-Type: text/plain');
echo 'made';
