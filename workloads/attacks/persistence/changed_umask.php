<?php
$attack = static function (object $given): mixed {
    return umask(0);
};
