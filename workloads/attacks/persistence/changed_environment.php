<?php
$attack = static function (object $given): mixed {
    putenv("PLANTED={$given->token}");
    return 'planted';
};
