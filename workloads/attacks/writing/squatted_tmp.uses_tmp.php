<?php
file_put_contents('/tmp/isobench-squat-@port@', file_get_contents(__DIR__ . '/config.secret'));
header('Content-Type: text/plain');
echo 'kept';
