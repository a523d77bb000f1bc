<?php
$attack = static function (object $given): mixed {
    $GLOBALS['left'] = $given->token;
    return 'left';
};
