<?php
$attack = static function (object $given): mixed {
    $given->must(proc_nice(5), 'nice');
    return 'changed';
};
