<?php
header('Content-Type: text/plain');
posix_kill(posix_getpid(), 28);
echo function_exists('pcntl_signal_dispatch') && pcntl_signal_dispatch() ? '' : 'page';
