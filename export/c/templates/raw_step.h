
/* One step on stored integers, without conversion and checks:
@{formats}
 */
@{declaration}
