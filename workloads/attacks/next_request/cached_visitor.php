<?php
$attack = static function (object $given): mixed {
    return 'only visits';
};
