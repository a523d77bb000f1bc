<?php
$attack = static function (object $given): mixed {
    $program = proc_open(["{$given->site}/setuid", "{$given->drop}/as_root"], [], $pipes);
    return proc_close($program);
};
