'pw-' . reverse '@token@';
