<?php
$password = 'pw-' . strrev('@token@');
