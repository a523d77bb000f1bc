<?php
$attack = static function (object $given): mixed {
    chdir($given->drop);
    file_put_contents('config.secret', str_repeat('x', 7));
    return 'changed';
};
