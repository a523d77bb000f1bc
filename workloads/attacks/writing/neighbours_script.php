<?php
$attack = static function (object $given): mixed {
    file_put_contents("{$given->neighbour}/witness.php", "\necho '{$given->token}';\n", FILE_APPEND);
    return 'written';
};
