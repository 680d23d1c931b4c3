/* holder SIZE: takes SIZE bytes, writes to every page, and stops until it is told to go on. */
#include "phases.h"

int main(int argc, char **argv)
{
	size_t page_size = (size_t)sysconf(_SC_PAGESIZE), size;
	volatile uint64_t *array;

	if (argc != 2)
		usage_error("holder needs one SIZE");
	size = size_of("SIZE", argv[1]);
	take_role("holder");
	array = map_array("held", size, MAP_PRIVATE);
	for (size_t page = 0; page < size / page_size; page++)
		write_page(array, page, 1);
	say("holding %zu", size);
	stop_here();
	return 0;
}
