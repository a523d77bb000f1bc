<?php
header('Content-Type: text/plain');
echo is_file('data/settings_of_the_site.php') ? include 'data/settings_of_the_site.php' : 'none';
